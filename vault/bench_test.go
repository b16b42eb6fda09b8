package vault

import (
	"testing"

	"bahi/domain"
)

func BenchmarkPersonToken(b *testing.B) {
	v := fixedPepper()
	b.ReportAllocs()
	for b.Loop() {
		v.PersonToken(reference)
	}
}

func BenchmarkPersonTokenParallel(b *testing.B) {
	v := fixedPepper()
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			v.PersonToken(reference)
		}
	})
}

func BenchmarkPhotoIDToken(b *testing.B) {
	v := fixedPepper()
	id := domain.PhotoID{Type: domain.Aadhaar, Number: "999900001111"}
	b.ReportAllocs()
	for b.Loop() {
		v.PhotoIDToken(id)
	}
}

func BenchmarkSubmissionDigest(b *testing.B) {
	v := fixedPepper()
	for _, s := range submissions(b)[:2] {
		name := "registration"
		if _, ok := s.(domain.DoseGiven); ok {
			name = "dose"
		}
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				v.SubmissionDigest(s)
			}
		})
	}
}

func BenchmarkIssueReference(b *testing.B) {
	v := fixedPepper()
	b.ReportAllocs()
	for b.Loop() {
		v.IssueReference(domain.UUID{1}, 0)
	}
}

func withKey(b *testing.B) *Vault {
	v := open(b)
	if err := v.EnsureKeys(hcw); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	return v
}

func BenchmarkEnsureKeysExisting(b *testing.B) {
	v := withKey(b)
	for b.Loop() {
		if err := v.EnsureKeys(hcw); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEnsureKeysNew(b *testing.B) {
	v := withKey(b)
	c := domain.Cohort{District: 1, Group: hcw.Group, Generation: 1}
	for b.Loop() {
		if err := v.EnsureKeys(c); err != nil {
			b.Fatal(err)
		}
		if c.Generation++; c.Generation == 0 {
			c.District++
			c.Generation = 1
		}
	}
}

func BenchmarkSealRegistration(b *testing.B) {
	v := withKey(b)
	for b.Loop() {
		if _, err := v.SealRegistration(hcw, somebody, someDetails, someTokens); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpenRegistration(b *testing.B) {
	v := withKey(b)
	sealed, err := v.SealRegistration(hcw, somebody, someDetails, someTokens)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, _, err := v.OpenRegistration(hcw, somebody, sealed); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpenTokens(b *testing.B) {
	v := withKey(b)
	sealed, err := v.SealRegistration(hcw, somebody, someDetails, someTokens)
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, err := v.OpenTokens(hcw, somebody, sealed); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSealDose(b *testing.B) {
	v := withKey(b)
	for b.Loop() {
		if _, err := v.SealDose(hcw, somebody, someDose); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkOpenDose(b *testing.B) {
	v := withKey(b)
	sealed := sealedDose(b, v, hcw)
	p := v.PersonToken(reference)
	for b.Loop() {
		if _, err := v.OpenDose(hcw, p, sealed); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkBundle(b *testing.B) {
	v := open(b)
	public, bundle := v.IntakePublicKey(), make([]byte, 100_000) // about 300 submissions
	sealed, _, err := SealBundle(public, bundle, nil)
	if err != nil {
		b.Fatal(err)
	}
	b.Run("seal", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, _, err := SealBundle(public, bundle, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("open", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, _, err := v.OpenBundle(sealed, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
}
