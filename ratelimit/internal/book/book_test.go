package book_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/nantian-gw/nantian/ratelimit"
	"github.com/nantian-gw/nantian/ratelimit/internal/book"
)

func TestBook(t *testing.T) {
	b := book.New[int](time.Minute, 10)
	many := []int{1, 2, 3, 4, 5, 6}
	if err := errors.Join(b.Put("few", []int{1}, 0), b.Put("many", many, 0)); err != nil {
		t.Fatal(err)
	}
	if err := b.Put("few", nil, 0); !errors.Is(err, book.ErrExists) {
		t.Errorf("twice: %v", err)
	}
	if got, runs := b.Get("many", nil); !runs || !slices.Equal(got, many) {
		t.Error(got, runs)
	}
	if _, found := b.Take("many", 5, nil); found != book.Other {
		t.Error(found)
	}
	if got, found := b.Take("many", 6, nil); found != book.Running || !slices.Equal(got, many) {
		t.Error(got, found)
	}
	if _, found := b.Take("many", -1, nil); found != book.Absent || b.Len() != 1 {
		t.Error(found, b.Len())
	}
}

func TestExpire(t *testing.T) {
	b := book.New[int](time.Minute, 10)
	var back []int
	expire := func(now int64) { b.Expire(now, func(e []int) { back = append(back, e...) }) }
	for i := range 3 {
		if err := b.Put(ratelimit.ID(fmt.Sprint(i)), []int{i}, int64(i)*1000); err != nil {
			t.Fatal(err)
		}
	}
	if !b.Extend("1", 50_000) {
		t.Error("not extended")
	}
	expire(60_999)
	expire(70_000)
	expire(80_000)
	if slices.Sort(back); !slices.Equal(back, []int{0, 2}) {
		t.Error("back:", back)
	}
	if b.Extend("0", 80_000) || b.Len() != 3 {
		t.Error("an expired reservation was extended or forgotten")
	}
	if got, found := b.Take("0", -1, nil); found != book.Expired || !slices.Equal(got, []int{0}) {
		t.Error(got, found)
	}
	late := book.Late.Milliseconds()
	expire(120_000 + late)
	expire(130_000 + 2*late)
	if _, found := b.Take("2", -1, nil); found != book.Absent || b.Len() != 0 {
		t.Error(found, b.Len())
	}
}

func TestFull(t *testing.T) {
	b := book.New[int](time.Minute, 1)
	if err := errors.Join(b.Put("a", nil, 0)); err != nil {
		t.Fatal(err)
	}
	if err := b.Put("b", nil, 0); !errors.Is(err, ratelimit.ErrFull) {
		t.Error(err)
	}
	b.Take("a", -1, nil)
	if err := b.Put("b", nil, 0); err != nil {
		t.Error(err)
	}
}
