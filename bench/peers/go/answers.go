package main

import (
	core "github.com/envoyproxy/go-control-plane/envoy/config/core/v3"
	auth "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	types "github.com/envoyproxy/go-control-plane/envoy/type/v3"
	"google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/structpb"
)

// The result headers that an allowed request without them must not carry upstream.
var removed = []string{
	"x-approov-reason", "x-approov-did", "x-approov-ip", "x-approov-arc", "x-approov-iss", "x-approov-aud", "x-approov-sub",
}

// Shared by all answers, as a careful author would write it: they never change.
var (
	okStatus     = &status.Status{Code: int32(codes.OK)}
	deniedStatus = &status.Status{Code: int32(codes.Unauthenticated)}
	okResponse   = &auth.CheckResponse_OkResponse{OkResponse: &auth.OkHttpResponse{
		Headers: []*core.HeaderValueOption{
			overwrite("x-approov-verdict", "verified"), overwrite("x-approov-action", "allow"),
		},
		HeadersToRemove: removed,
	}}
	deniedResponse = &auth.CheckResponse_DeniedResponse{DeniedResponse: &auth.DeniedHttpResponse{
		Status: &types.HttpStatus{Code: types.StatusCode_Unauthorized},
		Headers: []*core.HeaderValueOption{
			overwrite("content-type", "application/json"), overwrite("cache-control", "no-store"),
			overwrite("www-authenticate", "Approov"),
		},
		Body: "{}",
	}}
)

func allowed(did string) *auth.CheckResponse {
	fields := metadata("verified", "allow", "ok")
	fields["approov_key_id"] = structpb.NewStringValue("env")
	fields["approov_did"] = structpb.NewStringValue(did)
	return &auth.CheckResponse{
		Status: okStatus, HttpResponse: okResponse, DynamicMetadata: &structpb.Struct{Fields: fields},
	}
}

func denied(reason string) *auth.CheckResponse {
	fields := metadata("unverified", "deny", reason)
	return &auth.CheckResponse{
		Status: deniedStatus, HttpResponse: deniedResponse, DynamicMetadata: &structpb.Struct{Fields: fields},
	}
}

func metadata(verdict, action, reason string) map[string]*structpb.Value {
	return map[string]*structpb.Value{
		"approov_verdict": structpb.NewStringValue(verdict),
		"approov_action":  structpb.NewStringValue(action),
		"approov_reason":  structpb.NewStringValue(reason),
		"approov_policy":  structpb.NewStringValue("default"),
		"approov_mode":    structpb.NewStringValue("enforce"),
	}
}

func overwrite(name, value string) *core.HeaderValueOption {
	return &core.HeaderValueOption{
		Header:       &core.HeaderValue{Key: name, Value: value},
		AppendAction: core.HeaderValueOption_OVERWRITE_IF_EXISTS_OR_ADD,
	}
}
