"""Other monitoring tools: their configuration files and exports become rows.

In: files of a tool. Out: a `Source` of rows, with every object accounted for. May import: monitors, protocols.
"""
