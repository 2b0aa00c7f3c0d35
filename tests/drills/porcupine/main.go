// Judges histories by porcupine, with the model that the tests' own checker has: one JSON document in, the ids of the
// histories that are not linearizable out.
package main

import (
	"encoding/json"
	"fmt"
	"math"
	"os"

	"github.com/anishathalye/porcupine"
)

type rule struct{ From, Op, Answer, To string }
type operation struct {
	Op       string
	Called   float64
	Returned float64
	Answer   *string
}
type history struct {
	ID         string
	Initial    string
	Operations []operation
}
type document struct {
	Model struct {
		States []string
		Rules  []rule
		Moves  [][2]string
	}
	Histories []history
}

const nanosecondsPerMillisecond = 1e6

func nanoseconds(milliseconds float64) int64 { return int64(milliseconds * nanosecondsPerMillisecond) }

func main() {
	var given document
	if err := json.NewDecoder(os.Stdin).Decode(&given); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	bits := map[string]uint64{}
	for index, state := range given.Model.States {
		bits[state] = 1 << index
	}
	moved := func(some uint64) uint64 {
		for {
			more := some
			for _, move := range given.Model.Moves {
				if more&bits[move[0]] != 0 {
					more |= bits[move[1]]
				}
			}
			if more == some {
				return some
			}
			some = more
		}
	}
	step := func(state, input, output interface{}) (bool, interface{}) {
		some, op, answer := state.(uint64), input.(string), output.(*string)
		after := uint64(0)
		for _, rule := range given.Model.Rules {
			if rule.Op == op && (answer == nil || *answer == rule.Answer) && some&bits[rule.From] != 0 {
				after |= bits[rule.To]
			}
		}
		if answer == nil {
			// It may never have happened.
			after |= some
		}
		after = moved(after)
		return after != 0, after
	}
	illegal := []string{}
	for _, history := range given.Histories {
		initial := moved(bits[history.Initial])
		model := porcupine.Model{Init: func() interface{} { return initial }, Step: step}
		var operations []porcupine.Operation
		for client, operation := range history.Operations {
			returned := int64(math.MaxInt64)
			if operation.Answer != nil {
				returned = nanoseconds(operation.Returned)
			}
			operations = append(operations, porcupine.Operation{
				ClientId: client, Input: operation.Op, Call: nanoseconds(operation.Called),
				Output: operation.Answer, Return: returned,
			})
		}
		if !porcupine.CheckOperations(model, operations) {
			illegal = append(illegal, history.ID)
		}
	}
	if err := json.NewEncoder(os.Stdout).Encode(illegal); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
