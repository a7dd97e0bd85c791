package peer

// report tells the others what this engine counted, and that it lives.
func (m *Mesh) report() {
	links := m.all()
	if len(links) == 0 {
		return
	}
	if data := m.opts.Host.PeerReport(); data != nil {
		m.broadcast(links, message{kind: kindReport, text: string(data)})
	}
}

// NotifySpent tells the others of a call with a key that has a rate: it holds
// over all engines, but for what comes to several within the time of a message.
func (m *Mesh) NotifySpent(keyID string) {
	m.broadcast(m.all(), message{kind: kindSpent, text: keyID})
}

func (m *Mesh) broadcast(links []*link, msg message) {
	for _, l := range links {
		l.send(msg)
	}
}

// Reports returns the other engines' latest reports, "" of one that has sent
// none.
func (m *Mesh) Reports() []string {
	links := m.all()
	reports := make([]string, len(links))
	for i, l := range links {
		l.mu.Lock()
		reports[i] = l.report
		l.mu.Unlock()
	}
	return reports
}
