package wire

// HasUnknown tells whether the commit holds a field, an event or an enumerated
// value that this version of the format does not have. Such a commit was
// written by a newer version and must not be folded: what is unknown might
// have to be counted.
func (m *Commit) HasUnknown() bool {
	if len(m.unknownFields) > 0 {
		return true
	}
	for _, e := range m.Entries {
		if e == nil || e.HasUnknown() {
			return true
		}
	}
	return false
}

// HasUnknown tells it of one entry.
func (m *Entry) HasUnknown() bool {
	if len(m.unknownFields) > 0 {
		return true
	}
	switch e := m.Event.(type) {
	case *Entry_PersonRegistered:
		return len(e.PersonRegistered.unknownFields) > 0
	case *Entry_DoseAdministered:
		return len(e.DoseAdministered.unknownFields) > 0
	case *Entry_RegistrationWithdrawn:
		return len(e.RegistrationWithdrawn.unknownFields) > 0
	case *Entry_DoseWithdrawn:
		return len(e.DoseWithdrawn.unknownFields) > 0
	case *Entry_ReversalRequested:
		return len(e.ReversalRequested.unknownFields) > 0
	case *Entry_ReversalDecided:
		for _, d := range e.ReversalDecided.TakenBack {
			if len(d.unknownFields) > 0 {
				return true
			}
		}
		return len(e.ReversalDecided.unknownFields) > 0
	case *Entry_LedgerFounded:
		return len(e.LedgerFounded.unknownFields) > 0
	case *Entry_FreezeOrdered:
		for _, c := range e.FreezeOrdered.Cohorts {
			if len(c.unknownFields) > 0 {
				return true
			}
		}
		for _, m := range e.FreezeOrdered.Moved {
			if len(m.unknownFields) > 0 {
				return true
			}
		}
		for _, c := range e.FreezeOrdered.Rekeyed {
			if len(c.unknownFields) > 0 {
				return true
			}
		}
		return len(e.FreezeOrdered.unknownFields) > 0
	case *Entry_PhotoIdsKept:
		return len(e.PhotoIdsKept.unknownFields) > 0
	case *Entry_PhotoIdsComplete:
		return len(e.PhotoIdsComplete.unknownFields) > 0
	case *Entry_KeysRewrapped:
		for _, k := range e.KeysRewrapped.Keys {
			if len(k.unknownFields) > 0 {
				return true
			}
		}
		return len(e.KeysRewrapped.unknownFields) > 0
	case *Entry_SurvivorsRekeyed:
		return len(e.SurvivorsRekeyed.unknownFields) > 0
	case *Entry_HandoverMade:
		return len(e.HandoverMade.unknownFields) > 0
	case *Entry_Purged:
		return len(e.Purged.unknownFields) > 0
	case *Entry_HolderEnrolled:
		return len(e.HolderEnrolled.unknownFields) > 0
	case *Entry_AuthorityKeyAdopted:
		return len(e.AuthorityKeyAdopted.unknownFields) > 0
	}
	return false
}

// HasUnknown tells whether the record holds a field that this version of the
// format does not have.
func (m *AuditRead) HasUnknown() bool { return len(m.unknownFields) > 0 }

// HasUnknown tells whether the record holds a field that this version of the
// format does not have.
func (m *AuditBarrier) HasUnknown() bool { return len(m.unknownFields) > 0 }

// HasUnknown tells whether the record holds a field that this version of the
// format does not have.
func (m *AuditAccess) HasUnknown() bool { return len(m.unknownFields) > 0 }
