"""What each command takes; the work is done in the modules beside this folder."""
