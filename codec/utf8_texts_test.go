package codec

import (
	"strings"
	"unicode/utf8"
)

// utf8Texts are the kinds of text that a peer sends, by what they are made of.
var utf8Texts = []struct {
	kind   string
	ascii  bool
	sample string
}{
	{"ASCII", true, "The quick brown fox jumps over the lazy dog; pack my box with five dozen liquor jugs. "},
	{"Latin", false, "Dès Noël où un zéphyr haï me vêt de glaçons würmiens je dîne d'exquis rôtis de bœuf. "},
	{"Cyrillic", false, "Съешь же ещё этих мягких французских булок, да выпей чаю. Ξεσκεπάζω την ψυχοφθόρα βδελυγμία. "},
	{"CJK", false, "色は匂へど散りぬるを我が世誰ぞ常ならむ有為の奥山今日越えて浅き夢見じ酔ひもせず天地玄黄宇宙洪荒日月盈昃辰宿列張"},
	{"emoji", false, "😀🎉🚀🌍🦊🐧🎸🍕🧩🪐🛰🔭🧬🪁🥁🧭"},
	{"JSON", false, `{"id":184467,"name":"Zoë Müller","city":"東京","ok":true,"tags":["naïve","смысл","plain text, as most is"],"mood":"🙂"},`},
}

// utf8Sample is at most n bytes of a sample, repeated and cut where a code point ends.
func utf8Sample(sample string, n int) []byte {
	p := []byte(strings.Repeat(sample, n/len(sample)+1))[:n]
	for !utf8.Valid(p) {
		p = p[:len(p)-1]
	}
	return p
}
