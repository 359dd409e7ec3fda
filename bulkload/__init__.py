"""Create SmartBear AlertSite mail monitors in bulk from a spreadsheet."""

__version__ = "1.0.0"
