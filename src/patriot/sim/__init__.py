"""An exchange simulator that speaks the wire: a pure engine, the faces of venues, a journal. No product domain lives here."""
