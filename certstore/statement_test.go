package certstore_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/stretchr/testify/require"

	"github.com/microtrust/microtrust/certstore"
	"github.com/microtrust/microtrust/internal/wire"
)

// bodyOf starts a body with a header that is right for id.
func bodyOf(kind string, cluster []byte, id *certstore.Identity) *wire.Fields {
	return wire.NewFields(certstore.StatementLabel).String(kind).Bytes(cluster).Bytes(id.PublicKeyDER()).Uint64(1)
}

func TestParseStatementRefusesBodies(t *testing.T) {
	ids := people(t, 2)
	id, key, other := ids[0], ids[0].KeyID(), ids[1].KeyID()
	cluster, hash := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 32)
	cert := id.Certificate().Raw
	genesis := func(kind string, cluster []byte) *wire.Fields {
		return bodyOf(kind, cluster, id).Bytes(hash).String("m0").Bytes(cert).Bytes(nil)
	}
	admit := func(name string, replaces []byte, rights uint64, offer []byte, compared string) *wire.Fields {
		return bodyOf("admit", cluster, id).Bytes(other[:]).String(name).Bytes(cert).Bytes(replaces).Uint64(rights).Bytes(offer).String(compared)
	}
	remove := func(keep ...[]byte) *wire.Fields { return bodyOf("remove", cluster, id).Bytes(hash).List(keep) }
	profile := func(revision uint64, addresses []string, pairs ...string) *wire.Fields {
		f := bodyOf("profile", cluster, id).Bytes(hash).Uint64(revision).Strings(addresses).Uint64(uint64(len(pairs) / 2))
		for _, p := range pairs {
			f.String(p)
		}
		return f
	}
	many := func(n int) (keep [][]byte) {
		for i := range n {
			keep = append(keep, append([]byte{byte(i >> 8), byte(i)}, make([]byte, 30)...))
		}
		return keep
	}
	sound := admit("m1", key[:], 3, hash, "pinned").Encoding()

	negative := []struct {
		reason string
		body   []byte
	}{
		{"nothing", nil},
		{"another label", wire.NewFields("another").String("remove").Bytes(cluster).Encoding()},
		{"unknown kind", bodyOf("grant", cluster, id).Encoding()},
		{"kind in upper case", genesis("Genesis", nil).Encoding()},
		{"cut off", sound[:len(sound)-1]},
		{"left over", append(bytes.Clone(sound), 0)},
		{"a field too many", admit("m1", nil, 3, nil, "").String("").Encoding()},
		{"genesis with a cluster", genesis("genesis", cluster).Encoding()},
		{"admit without a cluster", bodyOf("admit", nil, id).Bytes(other[:]).String("m1").Bytes(cert).Bytes(nil).Uint64(3).Bytes(nil).String("").Encoding()},
		{"short cluster", bodyOf("remove", cluster[:31], id).Bytes(hash).List(nil).Encoding()},
		{"long cluster", bodyOf("remove", append(cluster[:32:32], 1), id).Bytes(hash).List(nil).Encoding()},
		{"zero cluster spelled out", bodyOf("remove", make([]byte, 32), id).Bytes(hash).List(nil).Encoding()},
		{"key too long", wire.NewFields(certstore.StatementLabel).String("remove").Bytes(cluster).Bytes(make([]byte, 2049)).Uint64(1).Bytes(hash).List(nil).Encoding()},
		{"bad name in genesis", bodyOf("genesis", nil, id).Bytes(hash).String("M0").Bytes(cert).Bytes(nil).Encoding()},
		{"short random value", bodyOf("genesis", nil, id).Bytes(hash[:16]).String("m0").Bytes(cert).Bytes(nil).Encoding()},
		{"recovery key too long", bodyOf("genesis", nil, id).Bytes(hash).String("m0").Bytes(cert).Bytes(make([]byte, 2049)).Encoding()},
		{"bad name", admit("-", nil, 3, nil, "").Encoding()},
		{"empty name", admit("", nil, 3, nil, "").Encoding()},
		{"certificate too long", bodyOf("admit", cluster, id).Bytes(other[:]).String("m1").Bytes(make([]byte, 16<<10+1)).Bytes(nil).Uint64(3).Bytes(nil).String("").Encoding()},
		{"replaces a key that is not the issuer's", admit("m1", other[:], 3, nil, "").Encoding()},
		{"short replaces", admit("m1", key[:31], 3, nil, "").Encoding()},
		{"zero replaces spelled out", admit("m1", make([]byte, 32), 3, nil, "").Encoding()},
		{"unknown rights", admit("m1", nil, 4, nil, "").Encoding()},
		{"zero offer spelled out", admit("m1", nil, 3, make([]byte, 32), "").Encoding()},
		{"compared with a control character", admit("m1", nil, 3, nil, "a\nb").Encoding()},
		{"compared too long", admit("m1", nil, 3, nil, strings.Repeat("a", 33)).Encoding()},
		{"compared not UTF-8", admit("m1", nil, 3, nil, "\xff").Encoding()},
		{"keep out of order", remove(many(2)[1], many(2)[0]).Encoding()},
		{"keep twice the same", remove(many(1)[0], many(1)[0]).Encoding()},
		{"keep too many", remove(many(certstore.MaxKeep + 1)...).Encoding()},
		{"keep of a short id", remove(hash[:31]).Encoding()},
		{"revision zero", profile(0, nil).Encoding()},
		{"revision too high", profile(1<<32+1, nil).Encoding()},
		{"too many addresses", profile(1, strings.Split(strings.Repeat("a,", 16)+"a", ",")).Encoding()},
		{"empty address", profile(1, []string{""}).Encoding()},
		{"address too long", profile(1, []string{strings.Repeat("a", 265)}).Encoding()},
		{"address with a control character", profile(1, []string{"a\x00:1"}).Encoding()},
		{"attributes out of order", profile(1, nil, "b", "1", "a", "1").Encoding()},
		{"attribute twice", profile(1, nil, "a", "1", "a", "1").Encoding()},
		{"attribute without key", profile(1, nil, "", "1").Encoding()},
		{"key of an attribute with a control character", profile(1, nil, "a\u0085", "1").Encoding()},
		{"value of an attribute with a control character", profile(1, nil, "a", "\x1b[2J").Encoding()},
		{"value of an attribute too long", profile(1, nil, "a", strings.Repeat("a", 257)).Encoding()},
		{"body too long", make([]byte, certstore.MaxBody+1)},
	}
	require.GreaterOrEqual(t, len(negative), 44)
	for _, row := range negative {
		signature, err := id.Sign(row.body)
		require.NoError(t, err)
		_, err = certstore.ParseStatement(row.body, signature)
		require.ErrorIs(t, err, certstore.ErrStatement, row.reason)
	}

	positive := []*wire.Fields{
		genesis("genesis", nil), admit("m1", nil, 0, nil, ""), admit("m1", key[:], 3, hash, "pinned"), remove(),
		remove(many(certstore.MaxKeep)...), profile(1, nil), profile(1<<32, []string{"a:1", "a:1"}, "a", "", "b", "ü"),
	}
	for i, f := range positive {
		signature, err := id.Sign(f.Encoding())
		require.NoError(t, err)
		s, err := certstore.ParseStatement(f.Encoding(), signature)
		require.NoError(t, err, "row %d", i)
		require.Equal(t, f.Encoding(), s.Body())
		require.EqualValues(t, f.SHA256(), s.ID())
	}
}

func TestParseStatementRefusesSignatures(t *testing.T) {
	ids := people(t, 2)
	l, genesis := begin(t, ids[0], 1, nil)
	body := genesis.Body()
	byOther, err := ids[1].Sign(body)
	require.NoError(t, err)
	flipped := genesis.Signature()
	flipped[10] ^= 1
	changed := bytes.Clone(body)
	changed[bytes.Index(changed, []byte("m0"))] = 'n'
	noKey := wire.NewFields(certstore.StatementLabel).String("remove").Bytes(l.cluster[:]).Bytes([]byte("key")).Uint64(1).Bytes(make([]byte, 32)).List(nil)
	rows := []struct {
		reason          string
		body, signature []byte
	}{
		{"none", body, nil},
		{"another key's", body, byOther},
		{"a bit flipped", body, flipped},
		{"cut off", body, flipped[:63]},
		{"too long", body, make([]byte, 1025)},
		{"over another body", changed, genesis.Signature()},
		{"by no key at all", noKey.Encoding(), genesis.Signature()},
	}
	for _, row := range rows {
		_, err := certstore.ParseStatement(row.body, row.signature)
		require.ErrorIs(t, err, certstore.ErrSignature, row.reason)
	}
}

func TestParseEncodedStatement(t *testing.T) {
	ids := people(t, 1)
	_, genesis := begin(t, ids[0], 1, nil)
	encoded, err := genesis.MarshalBinary()
	require.NoError(t, err)
	for cut := range len(encoded) {
		_, err := certstore.ParseEncodedStatement(encoded[:cut])
		require.ErrorIs(t, err, certstore.ErrStatement, "cut at %d", cut)
	}
	_, err = certstore.ParseEncodedStatement(append(bytes.Clone(encoded), 0))
	require.ErrorIs(t, err, certstore.ErrStatement)
	for i := range encoded {
		changed := bytes.Clone(encoded)
		changed[i] ^= 0x40
		_, err := certstore.ParseEncodedStatement(changed)
		require.Error(t, err, "byte %d changed", i)
	}
	again, err := certstore.ParseEncodedStatement(encoded)
	require.NoError(t, err)
	require.Equal(t, genesis.ID(), again.ID())
	require.Equal(t, genesis.Signature(), again.Signature())
	require.LessOrEqual(t, len(encoded), certstore.MaxEncodedStatement)
}

func TestStatementViews(t *testing.T) {
	ids := people(t, 3)
	l, genesis := begin(t, ids[0], 1, ids[2])
	a := admission(ids[1], certstore.MayAdmit)
	a.Offer, a.Compared, a.Replaces = [32]byte{7}, "person", ids[0].KeyID()
	admit := l.issue(ids[0], a)
	remove := l.remove(ids[0], ids[1], genesis, admit)
	p := &certstore.MemberProfile{
		Profile: certstore.Profile{Addresses: []string{"a:1", "b:2"}, Attributes: map[string]string{"k": "v", "a": ""}},
		Admit:   admit.ID(), Revision: 9,
	}
	profile := l.issue(ids[1], p)

	hidden := cmpopts.IgnoreUnexported(certstore.Genesis{}, certstore.Admission{})
	g, ok := genesis.Genesis()
	require.True(t, ok)
	require.Equal(t, ids[2].PublicKeyDER(), g.Recovery)
	gotAdmit, ok := admit.Admit()
	require.True(t, ok)
	require.Empty(t, cmp.Diff(*a, gotAdmit, hidden))
	gotRemove, ok := remove.Remove()
	require.True(t, ok)
	require.Empty(t, cmp.Diff(*removal(ids[1], genesis, admit), gotRemove))
	gotProfile, ok := profile.Profile()
	require.True(t, ok)
	require.Empty(t, cmp.Diff(*p, gotProfile))
	_, ok = admit.Genesis()
	require.False(t, ok)
	_, ok = genesis.Admit()
	require.False(t, ok)
	_, ok = genesis.Remove()
	require.False(t, ok)
	_, ok = genesis.Profile()
	require.False(t, ok)

	require.Equal(t, certstore.KindGenesis, genesis.Kind())
	require.Equal(t, l.cluster, genesis.Cluster())
	require.Equal(t, l.cluster, admit.Cluster())
	require.Equal(t, ids[1].KeyID(), profile.Issuer())
	require.Equal(t, time.Unix(1_700_000_000, 0).UTC(), admit.Issued())

	gotProfile.Attributes["k"], gotProfile.Addresses[0] = "changed", "changed"
	unchanged, _ := profile.Profile()
	require.Empty(t, cmp.Diff(*p, unchanged), "a view shares memory with the statement")
}

func TestStatementLabelIsLong(t *testing.T) {
	require.Greater(t, len(certstore.StatementLabel), 64)
}
