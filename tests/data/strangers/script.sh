#!/bin/sh
echo name, email
