package sse

import "testing"

func BenchmarkNext(b *testing.B) {
	const frame = "data: {\"id\":\"chatcmpl-AbCdEf\",\"object\":\"chat.completion.chunk\",\"created\":1700000000,\"model\":\"gpt-5\",\"system_fingerprint\":\"fp_1\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" brown\"},\"logprobs\":null,\"finish_reason\":null}],\"usage\":null}\n\n"
	s := &Scanner{}
	r := &endless{text: frame}
	b.SetBytes(int64(len(frame)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.Next(r); err != nil {
			b.Fatal(err)
		}
	}
}
