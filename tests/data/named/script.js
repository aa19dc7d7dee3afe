var contacts = [{"name":"Ann Lee","email":"ann@example.com"}];
