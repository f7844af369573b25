package main

import (
	"context"
	"crypto/rand"
	"fmt"
	"log"
	mathrand "math/rand/v2"
	"time"

	pb "interop/gen/ottoscaler/v1"
)

// Lines that wait for their answer at the most. Beyond it the producer of the lines waits.
const window = 256

// Sends numbered entries without waiting for each answer, and goes on where it was after a cut.
type pipeline struct {
	client      pb.LogStreamingServiceClient
	worker      string
	incarnation []byte
	total       *summary
	lines       <-chan string
	ended       bool // no more lines will come
	last        int64
	// Without an answer, in order. Those before next are on their way.
	unacked []*pb.LogEntry
	next    int
	// Answers that are to come.
	outstanding int
	// After a RETRY nothing is sent until the whole flight is answered and this has passed.
	rewinding bool
	pause     time.Duration
}

func newPipeline(client pb.LogStreamingServiceClient, worker string, total *summary) *pipeline {
	incarnation := make([]byte, 16)
	rand.Read(incarnation)
	lines := make(chan string)
	go func() {
		defer close(lines)
		if err := readLines(func(line string) error { lines <- line; return nil }); err != nil {
			log.Fatal(err)
		}
	}()
	return &pipeline{client: client, worker: worker, incarnation: incarnation, total: total, lines: lines}
}

func (p *pipeline) run() error {
	for first := true; ; first = false {
		if err := p.register(first); err != nil {
			return err
		}
		err := p.stream()
		if err == nil {
			return nil
		}
		log.Printf("the stream ended: %v", err)
	}
}

// Registers, for as long as it takes, and takes up where the server is.
func (p *pipeline) register(first bool) error {
	for wait := 100 * time.Millisecond; ; wait = min(2*wait, 2*time.Second) {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		answer, err := p.client.RegisterWorker(ctx, &pb.WorkerRegistration{
			WorkerId: p.worker, TaskId: task, Incarnation: p.incarnation,
		})
		cancel()
		if err != nil {
			log.Printf("cannot register: %v", err)
			// Some chance in it, so that not all clients come back in the same moment.
			time.Sleep(wait/2 + mathrand.N(wait/2))
			continue
		}
		switch answer.Status {
		case pb.RegistrationResponse_SUCCESS, pb.RegistrationResponse_ALREADY_REGISTERED:
			if !first {
				p.total.Resumed++
			}
			return p.resume(answer.LastSequence)
		default:
			return fmt.Errorf("not registered: %v: %s", answer.Status, answer.Message)
		}
	}
}

func (p *pipeline) resume(mark int64) error {
	if len(p.unacked) > 0 && mark+1 < p.unacked[0].Sequence {
		return fmt.Errorf("the server has forgotten lines after %d that it acknowledged", mark)
	}
	// Durable, though their answers were lost.
	p.total.Acked += p.settle(mark)
	p.next, p.outstanding, p.rewinding = 0, 0, false
	return nil
}

// Lets go of everything up to a sequence.
func (p *pipeline) settle(sequence int64) int {
	settled := 0
	for settled < len(p.unacked) && p.unacked[settled].Sequence <= sequence {
		settled++
	}
	p.unacked = p.unacked[settled:]
	p.next = max(0, p.next-settled)
	return settled
}

type answer struct {
	response *pb.LogResponse
	err      error
}

// Sends and takes answers until all is settled or the stream ends.
func (p *pipeline) stream() error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	stream, err := p.client.StreamLogs(ctx)
	if err != nil {
		return err
	}
	answers := make(chan answer)
	go func() {
		for {
			response, err := stream.Recv()
			select {
			case answers <- answer{response, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	for !p.ended || len(p.unacked) > 0 {
		for !p.rewinding && p.next < len(p.unacked) {
			if err := stream.Send(p.unacked[p.next]); err != nil {
				return err
			}
			p.next++
			p.outstanding++
		}
		if err := p.step(answers); err != nil {
			return err
		}
	}
	if err := stream.CloseSend(); err != nil {
		return err
	}
	// Nothing is left that an error could concern.
	<-answers
	return nil
}

// Waits for a line, an answer, or the end of a pause.
func (p *pipeline) step(answers <-chan answer) error {
	var lines <-chan string // a channel that is nil never gives anything
	if !p.ended && !p.rewinding && len(p.unacked) < window {
		lines = p.lines
	}
	var paused <-chan time.Time
	if p.rewinding && p.outstanding == 0 {
		paused = time.After(p.pause)
	}
	select {
	case line, more := <-lines:
		if !more {
			p.ended = true
			return nil
		}
		p.last++
		p.unacked = append(p.unacked, newEntry(p.worker, line, p.last))
	case answer := <-answers:
		if answer.err != nil {
			return answer.err
		}
		p.answered(answer.response)
	case <-paused:
		p.rewinding, p.next = false, 0
	}
	return nil
}

func (p *pipeline) answered(response *pb.LogResponse) {
	p.outstanding--
	if response.Status != pb.LogResponse_RETRY {
		p.total.count(response)
		p.settle(response.Sequence)
		return
	}
	// Once for each flight: what is behind the first gets the same answer, and is sent again with it.
	pause := p.total.retry(response)
	if !p.rewinding {
		p.rewinding, p.pause = true, pause
	}
}
