// SPDX-FileCopyrightText: The hypersdk.hyper2kvm authors
// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/vmware/govmomi/vim25/types"
)

// fault is something that goes wrong on demand. Which fields a kind takes is in
// faultFields; README.md says what each does.
type fault struct {
	Kind  string     `json:"kind"`
	VM    string     `json:"vm,omitempty"`    // only this VM
	File  *fileScope `json:"file,omitempty"`  // only this file of the lease
	Count int        `json:"count,omitempty"` // how often it happens; 0 is always
	Skip  int        `json:"skip,omitempty"`  // how often it does not happen first

	AfterBytes     *int64   `json:"after_bytes,omitempty"`
	AfterPercent   *float64 `json:"after_percent,omitempty"`
	AfterSeconds   *float64 `json:"after_seconds,omitempty"`
	Seconds        *float64 `json:"seconds,omitempty"`
	How            string   `json:"how,omitempty"`
	Offset         *int64   `json:"offset,omitempty"`
	Manifest       string   `json:"manifest,omitempty"`
	Code           int      `json:"code,omitempty"`
	RetryAfter     *int     `json:"retry_after,omitempty"`
	BytesPerSecond int64    `json:"bytes_per_second,omitempty"`
	Value          string   `json:"value,omitempty"`
	Message        string   `json:"message,omitempty"`
	Method         string   `json:"method,omitempty"`
	Fault          string   `json:"fault,omitempty"`
	Leases         string   `json:"leases,omitempty"`

	Applied int `json:"applied"` // how often it has happened
	skipped int
}

// faultFields lists the fields that each kind takes; those with ! are required.
// The first group is scope: vm for all, file where a download or URL is meant.
var faultFields = map[string]string{
	// while a file is being sent
	"drop":           "file after_bytes after_percent how",
	"truncate":       "file after_bytes after_percent manifest",
	"flip":           "file offset! manifest",
	"stall":          "file after_bytes after_percent seconds!",
	"throttle":       "file bytes_per_second!",
	"status":         "file code! retry_after",
	"content_length": "file",
	// in the lease
	"star_host":                 "file",
	"host_name":                 "file value!",
	"wrong_certificate":         "file",
	"target_id":                 "file value!",
	"url_name":                  "file value!",
	"lease_error":               "message!",
	"lease_expire":              "file after_seconds after_bytes after_percent",
	"manifest_unsupported":      "",
	"checksum_type_unsupported": "",
	// in vCenter
	"create_descriptor": "message! how",
	"session_lost":      "method file after_bytes after_percent leases",
	"call_fails":        "method! fault! message",
	"call_slow":         "method! seconds!",
	"vcenter_status":    "code! retry_after",
}

var faultChoices = map[string][]string{
	"drop.how":              {"", "reset", "close"},
	"create_descriptor.how": {"", "fault", "errors"},
	"flip.manifest":         {"", "original", "sent"},
	"truncate.manifest":     {"", "original", "sent"},
	"session_lost.leases":   {"", "keep", "lost"},
}

// fileScope names a file of a lease by its index or its name.
type fileScope struct {
	index int
	name  string
}

func (s *fileScope) UnmarshalJSON(data []byte) error {
	s.index = -1
	if json.Unmarshal(data, &s.index) == nil {
		return nil
	}
	if json.Unmarshal(data, &s.name) != nil {
		return fmt.Errorf("file is %s, must be an index or a name", data)
	}
	return nil
}

func (s fileScope) MarshalJSON() ([]byte, error) {
	if s.name != "" {
		return json.Marshal(s.name)
	}
	return json.Marshal(s.index)
}

// parseFaults reads a JSON list and refuses what has no meaning.
func parseFaults(data []byte) ([]*fault, error) {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	faults := []*fault{}
	if err := decoder.Decode(&faults); err != nil {
		return nil, fmt.Errorf("faults: %w", err)
	}
	for i, f := range faults {
		if f == nil {
			return nil, fmt.Errorf("faults[%d] is null", i)
		}
		f.Applied = 0
		if err := f.check(); err != nil {
			return nil, fmt.Errorf("faults[%d]: %w", i, err)
		}
	}
	return faults, nil
}

func (f *fault) check() error {
	fields, ok := faultFields[f.Kind]
	if !ok {
		return fmt.Errorf("kind %q is unknown", f.Kind)
	}
	takes := strings.Fields(fields)
	value := reflect.ValueOf(*f)
	for i := range value.NumField() {
		name, _, _ := strings.Cut(value.Type().Field(i).Tag.Get("json"), ",")
		if name == "" || slices.Contains([]string{"kind", "vm", "count", "skip", "applied"}, name) {
			continue
		}
		given := !value.Field(i).IsZero()
		if given && !slices.Contains(takes, name) && !slices.Contains(takes, name+"!") {
			return fmt.Errorf("%s takes no %s", f.Kind, name)
		}
		if !given && slices.Contains(takes, name+"!") {
			return fmt.Errorf("%s needs %s", f.Kind, name)
		}
		if choices := faultChoices[f.Kind+"."+name]; choices != nil && !slices.Contains(choices, value.Field(i).String()) {
			return fmt.Errorf("%s is %q, must be one of %q", name, value.Field(i).String(), choices[1:])
		}
	}
	return f.checkValues(takes)
}

func (f *fault) checkValues(takes []string) error {
	places := 0
	for _, given := range []bool{f.AfterBytes != nil, f.AfterPercent != nil, f.AfterSeconds != nil} {
		if given {
			places++
		}
	}
	if places > 1 {
		return fmt.Errorf("only one after_… may be given")
	}
	always := f.Kind == "session_lost" || f.Kind == "lease_expire" // these can happen outside a body too
	if slices.Contains(takes, "after_bytes") && places == 0 && !always {
		return fmt.Errorf("%s needs after_bytes or after_percent", f.Kind)
	}
	if f.Kind == "session_lost" && f.Method != "" && places != 0 {
		return fmt.Errorf("session_lost takes a method or an after_…, not both")
	}
	if f.Fault != "" {
		if _, err := makeFault(f.Fault, exporterRef); err != nil {
			return err
		}
	}
	return nil
}

// makeFault makes a fault of vSphere's by its type's name. References that it must
// have are to the given object.
func makeFault(name string, about types.ManagedObjectReference) (types.BaseMethodFault, error) {
	kind, ok := types.TypeFunc()(name)
	if ok {
		value := reflect.New(kind)
		if made, ok := value.Interface().(types.BaseMethodFault); ok {
			for i := range kind.NumField() {
				if field := value.Elem().Field(i); field.Type() == reflect.TypeOf(about) {
					ref := about
					if kind.Field(i).Name == "Task" {
						ref = types.ManagedObjectReference{Type: "Task", Value: "task-1"}
					}
					field.Set(reflect.ValueOf(ref))
				}
			}
			return made, nil
		}
	}
	return nil, fmt.Errorf("fault %q is no fault of vSphere's", name)
}

// inBody tells whether the fault happens at a place in a file that is being sent.
func (f *fault) inBody() bool { return f.AfterBytes != nil || f.AfterPercent != nil }
