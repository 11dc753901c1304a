package chat

import "math"

// An Image is one picture of a message. Where its size is not known (0), it is taken to be 1024 by 1024.
type Image struct {
	Width, Height int  // pixels
	Low           bool // sent with low detail
}

// ImageRules say how a family of models counts images.
type ImageRules struct {
	Kind ImageKind
	Base float64 // Tiles: tokens for the image. Patches: tokens for a patch. Area: pixels for a token
	Tile float64 // Tiles and Crops: tokens for a tile
}

// An ImageKind is a way of counting.
type ImageKind uint8

// The ways that vendors document.
const (
	NoImages ImageKind = iota // the models see no images; they cost nothing
	Tiles                     // OpenAI, "Images and vision", "GPT-4o, GPT-4.1, GPT-4o-mini, CUA, and o-series (except o4-mini)"
	Patches                   // OpenAI, "Images and vision", "GPT-4.1-mini, GPT-4.1-nano, o4-mini"
	Area                      // Anthropic, "Vision", "Calculate image costs"
	Crops                     // Google, "Understand and count tokens", "Multimodal tokens"
)

const unknownSide = 1024 // pixels

// Count returns the tokens of an image.
func (r ImageRules) Count(i Image) int {
	w, h := float64(i.Width), float64(i.Height)
	if i.Width <= 0 || i.Height <= 0 {
		w, h = unknownSide, unknownSide
	}
	switch r.Kind {
	case Tiles:
		if i.Low {
			return int(r.Base)
		}
		return int(r.Base + r.Tile*tiles(w, h))
	case Patches:
		return int(math.Ceil(r.Base * patches(w, h)))
	case Area:
		return area(w, h, r.Base)
	case Crops:
		return int(r.Tile * crops(w, h))
	}
	return 0
}

// tiles returns how many tiles of 512 pixels an image covers after it was made to fit into 2048 by 2048 and then its
// shorter side into 768. It is not made larger.
func tiles(w, h float64) float64 {
	fit := min(1, 2048/max(w, h))
	w, h = w*fit, h*fit
	fit = min(1, 768/min(w, h))
	w, h = max(1, math.Floor(w*fit)), max(1, math.Floor(h*fit))
	return math.Ceil(w/512) * math.Ceil(h/512)
}

// patches returns how many patches of 32 pixels an image covers, made smaller if they would be more than 1536.
func patches(w, h float64) float64 {
	const side, most = 32, 1536
	n := math.Ceil(w/side) * math.Ceil(h/side)
	if n <= most {
		return n
	}
	fit := math.Sqrt(side * side * most / (w * h))
	across, down := w*fit/side, h*fit/side
	fit *= min(math.Max(1, math.Floor(across))/across, math.Max(1, math.Floor(down))/down)
	// Both products are whole numbers but for rounding.
	const rounding = 1e-9
	n = math.Ceil(w*fit/side-rounding) * math.Ceil(h*fit/side-rounding)
	return min(n, most)
}

// area returns the tokens of an image of which a token covers so many pixels, made to fit into 1568 by 1568 and, as
// Anthropic says, into about 1,600 tokens.
func area(w, h, pixels float64) int {
	const side, most = 1568, 1600
	fit := min(1, side/max(w, h))
	return int(min(most, math.Ceil(w*fit*h*fit/pixels)))
}

// crops returns 1 for an image within 384 by 384, otherwise how many tiles of 768 pixels it covers.
func crops(w, h float64) float64 {
	if w <= 384 && h <= 384 {
		return 1
	}
	return math.Ceil(w/768) * math.Ceil(h/768)
}
