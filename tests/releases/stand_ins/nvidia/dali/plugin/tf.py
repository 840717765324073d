"""What is imported under this name is not used without --use_dali."""
