module github.com/nantian-gw/nantian/test

go 1.26.0

replace github.com/nantian-gw/nantian => ../

require github.com/nantian-gw/nantian v0.0.0-00010101000000-000000000000

require (
	github.com/klauspost/compress v1.20.3 // indirect
	github.com/molecule-man/go-brrr v1.3.0 // indirect
	github.com/valyala/bytebufferpool v1.0.0 // indirect
	github.com/valyala/fasthttp v1.77.0 // indirect
)
