"""OpenAI's routes at a center of this process: texts continued, and turned into vectors."""
