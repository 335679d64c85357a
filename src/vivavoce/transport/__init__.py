"""RTP and RTCP, the lossy network, and the two ends of a call."""
