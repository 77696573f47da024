"""What every domain speaks: deciders, events, the log, time, ids, money. Knows no domain, framework or network."""
