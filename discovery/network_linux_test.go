package discovery_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/microtrust/microtrust/discovery"
)

func question(t *testing.T, n byte) []byte {
	t.Helper()
	data, err := discovery.EncodeQuestion(discovery.ID{n, 1})
	require.NoError(t, err)
	return data
}

// eventually waits for counts, since an answer may arrive before it is counted.
func eventually(t *testing.T, want discovery.Counts, a *discovery.Announcer) {
	t.Helper()
	require.Eventually(t, func() bool { return a.Counts() == want }, 20*time.Second, time.Millisecond, "want %+v", want)
}

// TestInterfaceThatCannotBeUsed: missing, down, without any address, or with one that is not ready.
func TestInterfaceThatCannotBeUsed(t *testing.T) {
	host := newLAN(t).host()
	host.IP("link add down0 type bridge")
	search := func(iface string) (err error) {
		s, err := discovery.NewSearch(discovery.SearchConfig{Interface: iface})
		require.NoError(t, err)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		results := 0
		host.In(func() {
			for _, err = range s.Results(ctx) {
				results++
			}
		})
		require.Equal(t, 1, results, iface)
		require.ErrorContains(t, err, iface)
		return err
	}
	for _, iface := range []string{"eth7", "down0", "eth0"} {
		require.ErrorIs(t, search(iface), discovery.ErrInterface, iface)
	}
	for _, iface := range []string{"eth7", "down0"} {
		a, err := discovery.NewAnnouncer(discovery.Config{Name: "micro01", Addresses: []string{"10.0.0.1:1"}, Interfaces: []string{"lo", iface}, Open: func() bool { return true }})
		require.NoError(t, err)
		host.In(func() { err = a.Run(t.Context()) })
		require.ErrorIs(t, err, discovery.ErrInterface, iface)
		require.ErrorContains(t, err, iface)
	}
	var err error
	host.In(func() { err = os.WriteFile("/proc/sys/net/ipv6/conf/eth0/dad_transmits", []byte("100"), 0) })
	require.NoError(t, err)
	host.IP("addr add fe80::1/64 dev eth0") // whose check for duplicates takes long now
	require.ErrorIs(t, search("eth0"), discovery.ErrNotSent)
}

// TestInterfaces: only those on which somebody else may be.
func TestInterfaces(t *testing.T) {
	l := newLAN(t)
	host := l.host("10.77.0.1/24")
	l.Plug(host.Host, "eth1", "fe80::1/64")
	l.Plug(host.Host, "eth2") // without an address
	host.IP("link add down0 type bridge")
	host.IP("addr add 10.78.0.1/24 dev down0")
	host.IP("link add alone0 up type veth peer name alone1") // connected to what is down
	host.IP("addr add 10.79.0.1/24 dev alone0")
	var names []string
	var err error
	host.In(func() { names, err = discovery.Interfaces() })
	require.NoError(t, err)
	require.ElementsMatch(t, []string{"eth0", "eth1"}, names)
}

// TestEmptyNetwork: where nobody answers, a search ends with its context, and its end is no error.
func TestEmptyNetwork(t *testing.T) {
	host := newLAN(t).host("10.77.0.9/24", "fe80::9/64")
	s, err := discovery.NewSearch(discovery.SearchConfig{Interface: "eth0", Every: 100 * time.Millisecond, Legacy: true})
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 400*time.Millisecond)
	defer cancel()
	host.In(func() {
		for f, err := range s.Results(ctx) {
			t.Errorf("found %v, %v", f, err)
		}
	})
	require.ErrorIs(t, ctx.Err(), context.DeadlineExceeded)
	require.Equal(t, discovery.Counts{}, s.Counts(), "it heard its own questions")
}

// TestNothingIsOpen: then nobody learns that the machine is there.
func TestNothingIsOpen(t *testing.T) {
	l := newLAN(t)
	open := make(chan bool, 1)
	a := l.host("10.77.0.1/24").announce(discovery.Config{Name: "micro01", Addresses: []string{"10.77.0.1:9443"}, Legacy: true, Open: func() bool {
		return <-open
	}})
	for i, group := range []string{discovery.Group4(), discovery.GroupLegacy()} {
		asker := l.host(fmt.Sprintf("10.77.0.%d/24", 10+i)).asker(group, "eth0")
		data := question(t, 1)
		if group == discovery.GroupLegacy() {
			data = []byte(`{"version":"2.0"}`)
		}
		open <- false
		asker.send(data)
		require.Nil(t, asker.receive(200*time.Millisecond), "closed")
		open <- true
		asker.send(data)
		require.NotNil(t, asker.receive(20*time.Second), "open")
	}
	eventually(t, discovery.Counts{Taken: 2, Closed: 2}, a)
}

// TestInitiatorsAreListed: two machines, over both families, and a third that says the name of the first.
func TestInitiatorsAreListed(t *testing.T) {
	l := newLAN(t)
	l.host("10.77.0.1/24", "fe80::1/64").announce(discovery.Config{Name: "micro01", Addresses: []string{"10.77.0.1:9443", "[fd42::1]:9443"}})
	l.host("10.77.0.2/24", "fe80::2/64").announce(discovery.Config{Name: "micro02", Addresses: []string{"10.77.0.2:9443"}})
	l.host("10.77.0.3/24", "fe80::3/64").announce(discovery.Config{Name: "micro01", Addresses: []string{"10.77.0.3:9443"}})
	found, counts := l.host("10.77.0.9/24", "fe80::9/64").search(discovery.SearchConfig{}, 6)
	require.Equal(t, []string{"micro01", "micro01", "micro01", "micro01", "micro02", "micro02"}, names(found))
	sources := map[string]string{}
	for _, f := range found {
		require.Equal(t, discovery.Protocol, f.Protocol)
		require.Equal(t, f.Source.Is6(), f.Source.Zone() != "", "an address of a link needs the zone")
		// Go knows the names of zones by the namespace of the test, where other interfaces have the number.
		sources[f.Source.WithZone("").String()] = fmt.Sprint(f.Name, f.Addresses)
	}
	require.Equal(t, map[string]string{
		"10.77.0.1": "micro01[10.77.0.1:9443 [fd42::1]:9443]", "fe80::1": "micro01[10.77.0.1:9443 [fd42::1]:9443]",
		"10.77.0.2": "micro02[10.77.0.2:9443]", "fe80::2": "micro02[10.77.0.2:9443]",
		"10.77.0.3": "micro01[10.77.0.3:9443]", "fe80::3": "micro01[10.77.0.3:9443]",
	}, sources)
	require.EqualValues(t, 6, counts.Taken)
}

// TestOneFamily: IPv6 alone is enough, and so is IPv4.
func TestOneFamily(t *testing.T) {
	for _, family := range []string{"fe80::%d/64", "10.77.0.%d/24"} {
		l := newLAN(t)
		l.host(fmt.Sprintf(family, 1)).announce(discovery.Config{Name: "micro01", Addresses: []string{"[fd42::1]:9443"}})
		found, _ := l.host(fmt.Sprintf(family, 9)).search(discovery.SearchConfig{}, 1)
		require.Equal(t, []string{"micro01"}, names(found))
		require.Equal(t, strings.Contains(family, "::"), found[0].Source.Is6())
	}
}

// TestSameMachine: an announcer and a search on one machine find each other, too, on its link and on loopback.
func TestSameMachine(t *testing.T) {
	host := newLAN(t).host("10.77.0.1/24", "fe80::1/64")
	host.announce(discovery.Config{Name: "micro01", Addresses: []string{"10.77.0.1:9443"}, Interfaces: []string{"lo", "eth0"}})
	for iface, want := range map[string]int{"eth0": 2, "lo": 1} {
		found, _ := host.search(discovery.SearchConfig{Interface: iface}, want)
		require.Len(t, found, want, iface)
	}
}

// TestOtherInterface: on an interface that was not named, nothing is said.
func TestOtherInterface(t *testing.T) {
	l, other := newLAN(t), newLAN(t)
	host := l.host("10.77.0.1/24", "fe80::1/64")
	other.Plug(host.Host, "eth1", "10.78.0.1/24", "fe80::1:1/64")
	a := host.announce(discovery.Config{Name: "micro01", Addresses: []string{"10.77.0.1:9443"}})
	// Another program joins the group on eth1, so that the kernel hands on what comes there.
	neighbour := host.announce(discovery.Config{Name: "micro02", Addresses: []string{"10.78.0.1:9443"}, Interfaces: []string{"eth1"}})
	here := l.host("10.77.0.9/24", "fe80::9/64")
	there := other.host("10.78.0.9/24", "fe80::1:9/64")
	var want discovery.Counts
	for _, group := range []string{discovery.Group4(), discovery.Group6()} {
		wrong := there.asker(group, "eth0")
		wrong.send(question(t, 1))
		require.Contains(t, string(wrong.receive(20*time.Second)), "micro02")
		require.Nil(t, wrong.receive(100*time.Millisecond))
		right := here.asker(group, "eth0")
		right.send(question(t, 2))
		require.Contains(t, string(right.receive(20*time.Second)), "micro01")
		want.Taken++
		want.Elsewhere++
		eventually(t, want, a)
		eventually(t, want, neighbour)
	}
}

// TestWhatIsNotAnswered has one row per gate of an announcer; then a good question is answered once, by no more bytes than it
// had.
func TestWhatIsNotAnswered(t *testing.T) {
	good := question(t, 1)
	rows := []struct {
		reason string
		data   []byte
		want   discovery.Counts
	}{
		{"junk", []byte("hello"), discovery.Counts{Malformed: 1}},
		{"empty", nil, discovery.Counts{Malformed: 1}},
		{"not filled up", []byte(strings.TrimSpace(string(good))), discovery.Counts{Malformed: 1}},
		{"too long", append([]byte(" "), good...), discovery.Counts{Oversized: 1}},
		{"far too long", make([]byte, 1400), discovery.Counts{Oversized: 1}},
		{"another version", []byte(`{"discovery":2}`), discovery.Counts{Version: 1}},
		{"another protocol", []byte(strings.Replace(string(good), "microtrust/2", "microtrust/3", 1)), discovery.Counts{Version: 1}},
		{"the older format", []byte(`{"version":"2.0"}`), discovery.Counts{Malformed: 1}},
	}
	machine := map[string]*net.UDPAddr{
		discovery.Group4(): {IP: net.IPv4(10, 77, 0, 1), Port: 19796}, discovery.Group6(): {IP: net.ParseIP("fd42::1"), Port: 19796},
	}
	for group := range machine {
		l := newLAN(t)
		a := l.host("10.77.0.1/24", "fd42::1/64").announce(discovery.Config{Name: "micro01", Addresses: []string{"10.77.0.1:9443"}})
		asker := l.host("10.77.0.9/24", "fd42::9/64").asker(group, "eth0")
		var want discovery.Counts
		for _, row := range rows {
			asker.send(row.data)
			want.Malformed += row.want.Malformed
			want.Oversized += row.want.Oversized
			want.Version += row.want.Version
			eventually(t, want, a)
		}
		asker.send(good)
		want.Taken++
		eventually(t, want, a)
		reply := asker.receive(20 * time.Second)
		require.NotEmpty(t, reply, "an answer came before")
		require.LessOrEqual(t, len(reply), len(good))
		id, name, addresses, err := discovery.ParseAnswer(reply)
		require.NoError(t, err)
		require.Equal(t, discovery.ID{1, 1}, id)
		require.Equal(t, "micro01", name)
		require.Equal(t, []string{"10.77.0.1:9443"}, addresses)

		asker.send(good)
		want.Repeated++
		eventually(t, want, a)

		// To the machine alone: whoever routes datagrams there from elsewhere learns nothing.
		multicast := asker.group
		asker.group = machine[group]
		asker.send(question(t, 2))
		want.Elsewhere++
		eventually(t, want, a)
		asker.group = multicast
		require.Nil(t, asker.receive(100*time.Millisecond), "more than one answer")
	}
}

// TestFloodOfQuestions: who floods gets few answers, and another machine is still answered.
func TestFloodOfQuestions(t *testing.T) {
	const questions = 5000
	for _, group := range []string{discovery.Group4(), discovery.Group6()} {
		l := newLAN(t)
		a := l.host("10.77.0.1/24", "fe80::1/64").announce(discovery.Config{Name: "micro01", Addresses: []string{"10.77.0.1:9443"}})
		flooder := l.host("10.77.0.8/24", "fe80::8/64").asker(group, "eth0")
		begin := time.Now()
		for i := range questions {
			data, err := discovery.EncodeQuestion(discovery.ID{byte(i), byte(i >> 8)})
			require.NoError(t, err)
			flooder.send(data)
		}
		found, _ := l.host("10.77.0.9/24", "fe80::9/64").search(discovery.SearchConfig{}, 1)
		require.Equal(t, []string{"micro01"}, names(found))
		answers := 0
		for flooder.receive(100*time.Millisecond) != nil {
			answers++
		}
		allowed := 20 + 10*int(time.Since(begin)/time.Second+1)
		counts := a.Counts()
		t.Logf("%s: %d questions, %d answers (at most %d), %+v", group, questions, answers, allowed, counts)
		require.Positive(t, counts.Taken, "the network may lose what was answered")
		require.LessOrEqual(t, answers, allowed)
		require.Positive(t, counts.Limited)
	}
}

// TestFloodOfAnswers: machines that answer anything, and one that is honest. What is listed stays bounded.
func TestFloodOfAnswers(t *testing.T) {
	l := newLAN(t)
	l.host("10.77.0.1/24").announce(discovery.Config{Name: "micro01", Addresses: []string{"10.77.0.1:9443"}})
	liar := l.host("10.77.0.8/24")
	listener := liar.listener()
	go func() {
		for {
			buffer := make([]byte, 600)
			n, from, err := listener.ReadFromUDP(buffer)
			if err != nil {
				return
			}
			id, err := discovery.ParseQuestion(buffer[:n])
			if err != nil {
				continue
			}
			send := func(data []byte) { _, _ = listener.WriteToUDP(data, from) }
			for i := range 20 {
				data, _ := discovery.EncodeAnswer(id, fmt.Sprintf("liar%d", i), []string{"10.77.0.1:9443"})
				send(data)
			}
			nobodys, _ := discovery.EncodeAnswer(discovery.ID{9}, "liar", []string{"10.77.0.1:9443"})
			send(nobodys)
			send([]byte("junk"))
			send([]byte(`{"discovery":2}`))
			send(make([]byte, 501))
			for range 200 {
				send(nobodys)
			}
		}
	}()
	s, err := discovery.NewSearch(discovery.SearchConfig{Interface: "eth0", Every: 100 * time.Millisecond})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	perSource := map[string]int{}
	ended := make(chan error)
	go l.host("10.77.0.9/24").In(func() {
		var failed error
		for f, err := range s.Results(ctx) {
			failed = errors.Join(failed, err)
			perSource[f.Source.String()]++
		}
		ended <- failed
	})
	require.Eventually(t, func() bool {
		c := s.Counts()
		return c.Taken == 9 && c.Full >= 12 && c.Unasked > 0 && c.Malformed > 0 && c.Version > 0 && c.Oversized > 0 && c.Limited > 100
	}, 30*time.Second, 5*time.Millisecond)
	cancel()
	require.NoError(t, <-ended)
	t.Logf("%+v", s.Counts())
	require.Equal(t, map[string]int{"10.77.0.1": 1, "10.77.0.8": 8}, perSource)
}

// TestTheListIsFull: MaxFound bounds the results whoever answers.
func TestTheListIsFull(t *testing.T) {
	l := newLAN(t)
	for i := range 3 {
		l.host(fmt.Sprintf("10.77.0.%d/24", 1+i)).announce(discovery.Config{Name: fmt.Sprintf("micro%d", i), Addresses: []string{"10.77.0.1:9443"}})
	}
	s, err := discovery.NewSearch(discovery.SearchConfig{Interface: "eth0", Every: 100 * time.Millisecond, MaxFound: 2})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	found := make(chan int)
	go l.host("10.77.0.9/24").In(func() {
		n := 0
		for range s.Results(ctx) {
			n++
		}
		found <- n
	})
	require.Eventually(t, func() bool { c := s.Counts(); return c.Full > 0 && c.Repeated > 0 }, 30*time.Second, 5*time.Millisecond)
	cancel()
	require.Equal(t, 2, <-found)
}

// TestOlderFormat: byte for byte what such joiners ask and are answered, only where it was switched on.
func TestOlderFormat(t *testing.T) {
	l := newLAN(t)
	l.host("10.77.0.1/24").announce(discovery.Config{Name: "micro01", Addresses: []string{"10.77.0.1:9443", "10.0.0.1:1"}, Legacy: true})
	l.host("10.77.0.2/24").announce(discovery.Config{Name: "micro02", Addresses: []string{"10.77.0.2:8443"}})
	host := l.host("10.77.0.9/24")
	asker := host.asker(discovery.GroupLegacy(), "eth0")
	asker.send([]byte(`{"version":"1.0"}`))
	asker.send([]byte(`{"version":"2.0"`))
	asker.send([]byte(`{"version":"2.0"}`))
	require.Equal(t, `{"version":"2.0","name":"micro01","address":"10.77.0.1"}`, string(asker.receive(20*time.Second)))
	require.Nil(t, asker.receive(100*time.Millisecond), "more than one answer")

	found, _ := host.search(discovery.SearchConfig{Legacy: true}, 3)
	protocols := map[string]string{}
	for _, f := range found {
		protocols[f.Name+" "+f.Protocol] = fmt.Sprint(f.Addresses)
	}
	require.Equal(t, map[string]string{
		"micro01 " + discovery.Protocol: "[10.77.0.1:9443 10.0.0.1:1]", "micro01 " + discovery.ProtocolLegacy: "[10.77.0.1:9443]",
		"micro02 " + discovery.Protocol: "[10.77.0.2:8443]",
	}, protocols)
}

// TestNothingLeavesTheLink: questions and answers may pass no router.
func TestNothingLeavesTheLink(t *testing.T) {
	l := newLAN(t)
	l.host("10.77.0.1/24", "fe80::1/64").announce(discovery.Config{Name: "micro01", Addresses: []string{"10.77.0.1:9443"}, Legacy: true})
	host := l.host("10.77.0.9/24", "fe80::9/64")
	for group, data := range map[string][]byte{
		discovery.Group4(): question(t, 1), discovery.Group6(): question(t, 2), discovery.GroupLegacy(): []byte(`{"version":"2.0"}`),
	} {
		asker := host.asker(group, "eth0")
		hops := hopsOf(t, asker.conn, asker.group)
		asker.send(data)
		require.Equal(t, 1, hops(), "the answer of %s", group)
	}
	listener := l.host("10.77.0.8/24").listener()
	hops := hopsOf(t, listener, listener.LocalAddr().(*net.UDPAddr))
	found, _ := host.search(discovery.SearchConfig{}, 1)
	require.Len(t, found, 1)
	require.Equal(t, 1, hops(), "the question")
}

// TestNothingIsLeft: after the end of both sides, no goroutine is there, however they ended.
func TestNothingIsLeft(t *testing.T) {
	l := newLAN(t)
	host, other := l.host("10.77.0.1/24", "fe80::1/64"), l.host("10.77.0.9/24", "fe80::9/64")
	before := goleak.IgnoreCurrent()
	for range 5 {
		a, err := discovery.NewAnnouncer(discovery.Config{Name: "micro01", Addresses: []string{"10.77.0.1:9443"}, Interfaces: []string{"eth0"}, Legacy: true, Open: func() bool { return true }})
		require.NoError(t, err)
		ctx, cancel := context.WithCancelCause(t.Context())
		ended := make(chan error)
		go host.In(func() { ended <- a.Run(ctx) })
		found, _ := other.search(discovery.SearchConfig{Legacy: true}, 1) // leaves at the first of three, while others wait
		require.Len(t, found, 1)
		cause := errors.New("enough")
		cancel(cause)
		require.ErrorIs(t, <-ended, cause)
	}
	goleak.VerifyNone(t, before)
}
