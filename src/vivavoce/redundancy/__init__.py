"""What a packet carries of the packets before it: RFC 2198 copies."""
