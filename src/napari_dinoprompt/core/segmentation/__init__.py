"""A reference applied to planes, large planes and stacks."""
