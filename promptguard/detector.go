package promptguard

// A state is what a detector knows about a start.
type state uint8

const (
	no   state = iota
	yes        // a match, whatever follows
	more       // undecided: the text has to go on, or to end
)

// lookbehind is how far before a match's start a detector may look, in bytes. A stream keeps that much of what it has let go.
const lookbehind = 128

// A view is a part of a text that ends where the known text ends.
type view struct {
	b    []byte
	base int  // offset in the text of b[0]
	end  bool // nothing follows
	work *work
}

// A match is a place that a detector may have found. While undecided, start is where it would begin at the earliest.
type match struct {
	start, end int
	state      state
	cut        bool // more of the same follows
}

// undecided is the answer of a detector that met the end of what is known at a start.
func (v *view) undecided(start int) match {
	if v.end {
		return match{}
	}
	return match{start: start, state: more}
}

func found(start, end int) match { return match{start: start, end: end, state: yes} }

// A detector finds one kind of thing.
type detector struct {
	kind  string // name in findings
	label string // name in placeholders
	cue   cue    // what makes the scan ask it
	// literals are what its matches begin with, for cueLiteral.
	literals []string
	// whole says that a match of a literal never follows a letter or digit.
	whole bool
	// lead is how many bytes a match has before its first digit, for cueDigits.
	lead int
	// runs are the lengths of the run of digits, as bits, where not any will do.
	runs uint32
	// then is the byte that follows this run, where it is not 0; A is any letter.
	then byte
	// spaced says that there is a space among these.
	spaced bool
	// late says that a match may start after what calls the detector; otherwise it starts there or before.
	late bool
	// reach is how far the end of the cue can be from the start of a match, in bytes: what a stream holds back before the
	// cue is seen. Literals need none: their own length holds.
	reach int
	// weight is what a match adds to the score of its group. Without one a match is a finding.
	weight    int
	group     string
	threshold int // of the group; the rule's when 0
	// program and expr are a user's pattern, for cueRegexp.
	program *program
	expr    string
	// match judges a start: of the literal, of the run of digits less lead, of the run of letters, or the cue's sign.
	match func(v *view, at int) match
}

// A cue is what the prefilter looks for on behalf of a detector.
type cue uint8

const (
	cueLiteral cue = iota
	cueDigits      // two digits; at is the first of the run
	cueDot         // a dot between digits; at is the dot
	cueColon       // a colon between hexadecimal digits or colons; at is the colon
	cueDash        // a dash between hexadecimal digits; at is the dash
	cuePlus        // a plus before a digit; at is the plus
	cueAt          // the sign @; at is the sign
	cueRun         // 23 or more letters and digits; at is the first
	cueOdd         // a word with a character that hides it; at is its first byte
	cueRegexp      // any place where the user's pattern can start
	cues
)
