"""An exchange simulator that speaks the wire: a pure engine, faces of venues, a journal. It knows no product domain."""
