// Follows the log of a task until its workers have ended: tail TASK
package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"os"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	pb "example/gen/ottoscaler/v1"
)

func main() {
	address := cmp.Or(os.Getenv("OTTO_INGEST"), "127.0.0.1:50051")
	connection, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatal(err)
	}
	request := &pb.TailRequest{Of: &pb.TailRequest_TaskId{TaskId: os.Args[1]}, Follow: true}
	stream, err := pb.NewLogQueryServiceClient(connection).TailLogs(context.Background(), request)
	if err != nil {
		log.Fatal(err)
	}
	for {
		piece, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			log.Fatal(err)
		}
		for _, entry := range piece.Entries {
			if gap := entry.Gap; gap != nil {
				fmt.Printf("[lines %d to %d are missing: %s]\n", entry.Sequence, gap.LastSequence, gap.Reason)
			} else {
				fmt.Println(entry.Message)
			}
		}
		if end := piece.End; end != nil {
			log.Printf("%s ended with %d", end.WorkerId, end.ExitCode)
		}
	}
}
