"""What a packet carries of the packets before it: RFC 2198 copies, and deep redundancy, a description in a few bits."""
