"""Parts of the program prompt_study.py."""
