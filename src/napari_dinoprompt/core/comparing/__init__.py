"""The figures of a comparison between a real stain and a fake; each file is one kind.

`measures.measure_pair` computes them all, `columns.COLUMNS` says what each one means.
"""
