variable "name" {
  description = "Name of role and policy, and of the export."
  type        = string
  default     = "brimful"
}

variable "bucket" {
  description = "Bucket of the report, in the payer account."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.bucket))
    error_message = "bucket is the name of an S3 bucket, without s3:// and without a prefix."
  }
}

variable "bucket_region" {
  description = "Region of the bucket. One that this module creates lies where aws.payer points, in us-east-1."
  type        = string
  default     = "us-east-1"
}

variable "prefix" {
  description = "Prefix of the report in the bucket. The pod may read what lies below it, and nothing else."
  type        = string
  default     = "exports"

  validation {
    condition     = can(regex("^[^/].*[^/]$", var.prefix))
    error_message = "prefix must neither be empty nor begin or end with a slash."
  }
}

variable "create_export" {
  description = "Create the Data Export (CUR 2.0, hourly, Parquet). False where one is there already: then bucket and prefix are its own."
  type        = bool
  default     = true
}

variable "create_bucket" {
  description = "Create the bucket, with the policy that lets AWS deliver to it and the pod's role read it. False where it is there: then put the output bucket_policy into its policy."
  type        = bool
  default     = true
}

variable "cluster_name" {
  description = "EKS cluster. With identity pod_identity the association is made there."
  type        = string
}

variable "identity" {
  description = "How the pod gets the role: pod_identity, or irsa."
  type        = string
  default     = "pod_identity"

  validation {
    condition     = contains(["pod_identity", "irsa"], var.identity)
    error_message = "identity is pod_identity or irsa."
  }
}

variable "oidc_provider_arn" {
  description = "ARN of the cluster's OIDC provider in IAM. Needed with irsa."
  type        = string
  default     = ""

  validation {
    condition     = can(regex("^$|^arn:aws[a-z-]*:iam::[0-9]{12}:oidc-provider/.+$", var.oidc_provider_arn))
    error_message = "oidc_provider_arn is arn:aws:iam::ACCOUNT:oidc-provider/HOST/id/ID."
  }
}

variable "namespace" {
  description = "Namespace of the release."
  type        = string
  default     = "brimful"
}

variable "service_account" {
  description = "ServiceAccount of the pod."
  type        = string
  default     = "brimful"
}

variable "tags" {
  description = "Tags of everything that is made."
  type        = map(string)
  default     = {}
}
