"""What is baked into benchmark images: the networks, the harness and one package per framework."""
