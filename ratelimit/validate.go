package ratelimit

import (
	"errors"
	"fmt"
)

// Validate says what is wrong with a reservation before it reaches a store. Every Limiter calls it.
func Validate(id ID, charges []Charge) error {
	if err := id.validate(); err != nil {
		return err
	}
	if len(charges) == 0 || len(charges) > MaxCharges {
		return fmt.Errorf("reservation: %d charges, expected 1 to %d", len(charges), MaxCharges)
	}
	for i := range charges {
		if err := charges[i].validate(); err != nil {
			return fmt.Errorf("charge %d: %w", i, err)
		}
	}
	return nil
}

func (id ID) validate() error {
	if len(id) == 0 || len(id) > MaxID {
		return fmt.Errorf("reservation: an id of %d bytes, expected 1 to %d", len(id), MaxID)
	}
	return nil
}

func (c *Charge) validate() error {
	if err := c.Bucket.Validate(); err != nil {
		return err
	}
	return amount(c.Amount)
}

// Validate says what is wrong with a bucket.
func (b *Bucket) Validate() error {
	if len(b.Key) == 0 || len(b.Key) > MaxKey {
		return fmt.Errorf("bucket: a key of %d bytes, expected 1 to %d", len(b.Key), MaxKey)
	}
	if b.Limit < 0 || b.Limit > MaxLimit {
		return fmt.Errorf("bucket %q: limit %d, expected 0 to %d", b.Key, b.Limit, int64(MaxLimit))
	}
	if err := b.Window.validate(); err != nil {
		return fmt.Errorf("bucket %q: %w", b.Key, err)
	}
	if b.Failure > Closed {
		return fmt.Errorf("bucket %q: failure mode %d, expected Open or Closed", b.Key, b.Failure)
	}
	return nil
}

// ValidateActual says what is wrong with amounts to settle.
func ValidateActual(actual []int64) error {
	for _, a := range actual {
		if err := amount(a); err != nil {
			return err
		}
	}
	return nil
}

// ErrCount says that Settle was given another number of amounts than was reserved.
var ErrCount = errors.New("settle: expected one amount per charge of the reservation")

func amount(a int64) error {
	if a < 0 || a > MaxAmount {
		return fmt.Errorf("amount %d, expected 0 to %d", a, int64(MaxAmount))
	}
	return nil
}
