"""The prompt study: what prompts, place, resolution and threshold do to a result."""
