-- MySQL dump 10.13  Distrib 8.0.35, for Linux (x86_64)
--
-- Host: localhost    Database: crm
-- ------------------------------------------------------
/*!40101 SET NAMES utf8mb4 */;
DROP TABLE IF EXISTS `contacts`;
INSERT INTO `contacts` (`name`, `email`) VALUES ('Ann Lee','ann@example.com');
