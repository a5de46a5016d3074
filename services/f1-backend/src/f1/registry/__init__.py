"""Models on their way to users: packaged and signed, kept in S3, judged, and pointed at."""
