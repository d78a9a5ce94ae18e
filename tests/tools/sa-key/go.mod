module brimful.dev/tests/sa-key

go 1.26.0
