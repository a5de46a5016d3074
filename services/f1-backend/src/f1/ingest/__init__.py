"""Where the data comes from: CSV files, the Jolpica API, the weather service, and a simulator for
demonstrations."""
