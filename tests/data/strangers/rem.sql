REM INSERTING into CONTACTS
SET DEFINE OFF;
Insert into CONTACTS (NAME,EMAIL) values ('Ann Lee','ann@example.com');
