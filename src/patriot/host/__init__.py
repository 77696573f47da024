"""One machine: data folder, settings, embedded servers, and what keeps a platform running on them."""
