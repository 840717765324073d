"""Datasets: makes them, converts them between formats, checks them, and knows them by name."""
