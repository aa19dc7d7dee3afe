--
-- PostgreSQL database dump
--

SET statement_timeout = 0;

COPY public.contacts (id, name, email) FROM stdin;
1	Ann Lee	ann@example.com
\.
