"""The delimiters of text files, with the names under which a run's details have them."""

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "pipe"}
