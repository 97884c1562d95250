package report

// How each type of the contract is written, field by field in their order. A field that
// is added to a type is added here; TestWriteJSON fails where one is missing.

func (j *appender) report(r *Report) {
	j.head(r)
	list(j, `"findings": `, r.Findings, func(j *appender, f *Finding) {
		j.finding(f)
		j.flushIfLong()
	})
	j.conclusion(r)
	list(j, `"connections": `, r.Connections, func(j *appender, c *Connection) {
		j.connection(c)
		j.flushIfLong()
	})
	j.close('}')
}

// head appends what a report has before its findings.
func (j *appender) head(r *Report) {
	j.open('{')
	j.str(`"schema": `, r.Schema)
	j.optStr(`"made_by": `, r.MadeBy)
	j.key(`"capture": `)
	j.capture(&r.Capture)
}

// conclusion appends what a report has between its findings and its connections.
func (j *appender) conclusion(r *Report) {
	list(j, `"summary": `, r.Summary, group)
	j.num(`"quiet_connections": `, r.QuietConnections)
	if r.HiddenFindings != 0 {
		j.whole(`"hidden_findings": `, r.HiddenFindings)
	}
}

func (j *appender) capture(c *Capture) {
	j.open('{')
	list(j, `"sources": `, c.Sources, text)
	j.num(`"packets": `, c.Packets)
	j.num(`"segments": `, c.Segments)
	j.num(`"connections": `, c.Connections)
	j.optStr(`"first": `, c.First)
	j.optStr(`"last": `, c.Last)
	list(j, `"warnings": `, c.Warnings, warning)
	j.close('}')
}

func warning(j *appender, w *Warning) {
	j.open('{')
	j.str(`"code": `, w.Code)
	j.str(`"says": `, w.Says)
	j.optNum(`"frame": `, w.Frame)
	j.close('}')
}

func group(j *appender, g *Group) {
	j.open('{')
	j.str(`"question": `, g.Question)
	j.str(`"cause": `, g.Cause)
	j.str(`"certainty": `, string(g.Certainty))
	j.str(`"fault": `, string(g.Fault))
	j.str(`"severity": `, string(g.Severity))
	j.whole(`"findings": `, g.Findings)
	j.whole(`"connections": `, g.Connections)
	j.str(`"first": `, g.First)
	j.close('}')
}

func (j *appender) finding(f *Finding) {
	j.open('{')
	j.str(`"id": `, f.ID)
	j.str(`"question": `, f.Question)
	j.str(`"asks": `, f.Asks)
	j.key(`"flow": `)
	j.open('{')
	j.str(`"client": `, f.Flow.Client)
	j.str(`"server": `, f.Flow.Server)
	j.close('}')
	list(j, `"frames": `, f.Frames, number)
	optList(j, `"refs": `, f.Refs, ref)
	j.key(`"verdict": `)
	j.verdict(&f.Verdict)
	list(j, `"causes": `, f.Causes, cause)
	list(j, `"settle": `, f.Settle, settle)
	list(j, `"advice": `, f.Advice, text)
	optList(j, `"warnings": `, f.Warnings, warning)
	list(j, `"ladder": `, f.Ladder, step)
	optList(j, `"lanes": `, f.Lanes, lane)
	if f.Ring != nil {
		j.key(`"ring": `)
		j.ring(f.Ring)
	}
	if f.Clock != nil {
		j.key(`"clock": `)
		j.clock(f.Clock)
	}
	list(j, `"connections": `, f.ConnectionIDs, text)
	j.close('}')
}

func (j *appender) verdict(v *Verdict) {
	j.open('{')
	j.str(`"certainty": `, string(v.Certainty))
	j.str(`"cause": `, v.Cause)
	j.str(`"says": `, v.Says)
	j.str(`"fault": `, string(v.Fault))
	j.str(`"severity": `, string(v.Severity))
	j.close('}')
}

func cause(j *appender, c *Cause) {
	j.open('{')
	j.str(`"cause": `, c.Cause)
	j.str(`"stands": `, string(c.Stands))
	j.str(`"says": `, c.Says)
	list(j, `"assumes": `, c.Assumes, text)
	j.whole(`"against_db": `, c.AgainstDB)
	list(j, `"evidence": `, c.Evidence, evidence)
	j.close('}')
}

func evidence(j *appender, e *Evidence) {
	j.open('{')
	j.str(`"says": `, e.Says)
	j.str(`"answer": `, e.Answer)
	list(j, `"frames": `, e.Frames, number)
	optList(j, `"refs": `, e.Refs, ref)
	j.optStr(`"source": `, e.Source)
	j.close('}')
}

func ref(j *appender, r *Ref) {
	j.open('{')
	j.str(`"source": `, r.Source)
	j.num(`"frame": `, r.Frame)
	j.optStr(`"time": `, r.Time)
	j.close('}')
}

func settle(j *appender, s *Settle) {
	j.open('{')
	j.str(`"on": `, s.On)
	j.str(`"command": `, s.Command)
	j.str(`"if": `, s.If)
	j.str(`"then": `, s.Then)
	j.close('}')
}

func step(j *appender, s *Step) {
	j.open('{')
	j.optNum(`"frame": `, s.Frame)
	j.optStr(`"time": `, s.Time)
	j.real(`"at_s": `, s.AtS)
	j.optStr(`"from": `, s.From)
	j.optStr(`"segment": `, s.Segment)
	if s.Fields != nil {
		j.key(`"fields": `)
		j.fields(s.Fields)
	}
	j.optStr(`"note": `, s.Note)
	j.optTruth(`"asked": `, s.Asked)
	if s.Incarnation != 0 {
		j.whole(`"incarnation": `, s.Incarnation)
	}
	j.close('}')
}

func (j *appender) fields(f *Fields) {
	j.open('{')
	j.str(`"flags": `, f.Flags)
	j.num(`"seq": `, uint64(f.Seq))
	j.num(`"ack": `, uint64(f.Ack))
	j.num(`"len": `, uint64(f.Len))
	j.num(`"window": `, uint64(f.Window))
	j.optNumAt(`"tsval": `, f.TSVal)
	j.optNumAt(`"tsecr": `, f.TSEcr)
	j.optNum(`"ttl": `, uint64(f.TTL))
	j.optNum(`"ip_id": `, uint64(f.IPID))
	j.optNum(`"mss": `, uint64(f.MSS))
	j.optTruth(`"relative": `, f.Relative)
	j.close('}')
}

func lane(j *appender, l *Lane) {
	j.open('{')
	j.str(`"end": `, l.End)
	list(j, `"spans": `, l.Spans, span)
	j.close('}')
}

func span(j *appender, s *Span) {
	j.open('{')
	j.str(`"state": `, s.State)
	j.real(`"from_s": `, s.FromS)
	j.real(`"to_s": `, s.ToS)
	j.optNum(`"frame": `, s.Frame)
	j.optTruth(`"assumed": `, s.Assumed)
	optList(j, `"ends_s": `, s.EndsS, float)
	j.optStr(`"note": `, s.Note)
	j.close('}')
}

func (j *appender) ring(r *Ring) {
	j.open('{')
	j.str(`"end": `, r.End)
	j.optNumAt(`"rcv_nxt": `, r.RcvNxt)
	j.optNumAt(`"snd_nxt": `, r.SndNxt)
	j.num(`"seq": `, uint64(r.Seq))
	if r.After != nil {
		j.truth(`"after": `, *r.After)
	}
	j.optNumAt(`"isn": `, r.ISN)
	optList(j, `"candidates": `, r.Candidates, candidate)
	list(j, `"frames": `, r.Frames, number)
	j.close('}')
}

func candidate(j *appender, c *Candidate) {
	j.open('{')
	j.str(`"name": `, c.Name)
	j.num(`"value": `, uint64(c.Value))
	j.optNum(`"tolerance": `, uint64(c.Tolerance))
	j.truth(`"met": `, c.Met)
	j.close('}')
}

func (j *appender) clock(c *Clock) {
	j.open('{')
	j.str(`"end": `, c.End)
	list(j, `"isns": `, c.ISNs, clockPoint)
	optList(j, `"tsvals": `, c.TSVals, clockPoint)
	if c.TSRate != 0 {
		j.real(`"ts_rate": `, c.TSRate)
	}
	j.close('}')
}

func clockPoint(j *appender, p *ClockPoint) {
	j.open('{')
	j.num(`"frame": `, p.Frame)
	j.real(`"at_s": `, p.AtS)
	j.num(`"value": `, uint64(p.Value))
	j.optStr(`"is": `, p.Is)
	j.close('}')
}

func (j *appender) connection(c *Connection) {
	j.open('{')
	j.str(`"id": `, c.ID)
	j.str(`"client": `, c.Client)
	j.str(`"server": `, c.Server)
	j.str(`"opened": `, c.Opened)
	j.optStr(`"closed": `, c.Closed)
	j.num(`"first_frame": `, c.FirstFrame)
	j.num(`"last_frame": `, c.LastFrame)
	j.real(`"duration_s": `, c.DurationS)
	j.str(`"state": `, c.State)
	j.str(`"first_closer": `, c.FirstCloser)
	j.str(`"time_wait_holder": `, c.TimeWaitHolder)
	j.str(`"ended": `, c.Ended)
	j.str(`"history": `, c.History)
	list(j, `"packets": `, c.Packets[:], number)
	list(j, `"bytes": `, c.Bytes[:], number)
	j.close('}')
}
