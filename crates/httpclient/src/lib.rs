//! The HTTP client every outgoing connection goes through.
