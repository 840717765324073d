"""Carries out nights: runs a suite, confirms suspects, files the verdicts, tells somebody."""
