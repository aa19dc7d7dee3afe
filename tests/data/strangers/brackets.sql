INSERT [dbo].[contacts] ([name], [email]) VALUES (N'Ann Lee', N'ann@example.com')
GO
