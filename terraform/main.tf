# The role of the pod with read access to one prefix, the export that Brimful reads, its bucket, and the policy of that
# bucket. The rights are those of manifests/iam-policy.json.

data "aws_partition" "current" {}

data "aws_caller_identity" "payer" {
  provider = aws.payer
}

locals {
  partition  = data.aws_partition.current.partition
  payer      = data.aws_caller_identity.payer.account_id
  bucket_arn = "arn:${local.partition}:s3:::${var.bucket}"

  # As manifests/iam-policy.json.
  read_policy = {
    Version = "2012-10-17"
    Statement = [
      {
        Sid      = "ListTheReport"
        Effect   = "Allow"
        Action   = "s3:ListBucket"
        Resource = local.bucket_arn
        Condition = {
          StringLike = { "s3:prefix" = "${var.prefix}/*" }
        }
      },
      {
        Sid      = "ReadTheReport"
        Effect   = "Allow"
        Action   = "s3:GetObject"
        Resource = "${local.bucket_arn}/${var.prefix}/*"
      },
    ]
  }

  oidc_host = element(split("oidc-provider/", "${var.oidc_provider_arn}oidc-provider/"), 1)

  trust_pod_identity = {
    Version = "2012-10-17"
    Statement = [
      {
        Effect    = "Allow"
        Principal = { Service = "pods.eks.amazonaws.com" }
        Action    = ["sts:AssumeRole", "sts:TagSession"]
      },
    ]
  }

  trust_irsa = {
    Version = "2012-10-17"
    Statement = [
      {
        Effect    = "Allow"
        Principal = { Federated = var.oidc_provider_arn }
        Action    = "sts:AssumeRoleWithWebIdentity"
        Condition = {
          StringEquals = {
            "${local.oidc_host}:sub" = "system:serviceaccount:${var.namespace}:${var.service_account}"
            "${local.oidc_host}:aud" = "sts.amazonaws.com"
          }
        }
      },
    ]
  }

  # The pod's role may lie in another account than the bucket, so that both sides must allow it.
  bucket_policy = {
    Version = "2012-10-17"
    Statement = [
      {
        Sid    = "LetDataExportsDeliver"
        Effect = "Allow"
        Principal = {
          Service = ["billingreports.amazonaws.com", "bcm-data-exports.amazonaws.com"]
        }
        Action   = ["s3:PutObject", "s3:GetBucketPolicy"]
        Resource = [local.bucket_arn, "${local.bucket_arn}/*"]
        Condition = {
          StringLike = {
            "aws:SourceAccount" = local.payer
            "aws:SourceArn" = [
              "arn:${local.partition}:cur:us-east-1:${local.payer}:definition/*",
              "arn:${local.partition}:bcm-data-exports:us-east-1:${local.payer}:export/*",
            ]
          }
        }
      },
      {
        Sid       = "LetBrimfulList"
        Effect    = "Allow"
        Principal = { AWS = aws_iam_role.this.arn }
        Action    = "s3:ListBucket"
        Resource  = local.bucket_arn
        Condition = {
          StringLike = { "s3:prefix" = "${var.prefix}/*" }
        }
      },
      {
        Sid       = "LetBrimfulRead"
        Effect    = "Allow"
        Principal = { AWS = aws_iam_role.this.arn }
        Action    = "s3:GetObject"
        Resource  = "${local.bucket_arn}/${var.prefix}/*"
      },
      {
        Sid       = "OnlyEncrypted"
        Effect    = "Deny"
        Principal = "*"
        Action    = "s3:*"
        Resource  = [local.bucket_arn, "${local.bucket_arn}/*"]
        Condition = {
          Bool = { "aws:SecureTransport" = "false" }
        }
      },
    ]
  }
}

resource "aws_iam_role" "this" {
  name               = var.name
  description        = "Brimful reads the Cost and Usage Report."
  assume_role_policy = jsonencode(var.identity == "irsa" ? local.trust_irsa : local.trust_pod_identity)
  tags               = var.tags

  lifecycle {
    precondition {
      condition     = var.identity != "irsa" || var.oidc_provider_arn != ""
      error_message = "oidc_provider_arn must be set with identity irsa."
    }
  }
}

resource "aws_iam_role_policy" "read" {
  name   = "read-the-report"
  role   = aws_iam_role.this.id
  policy = jsonencode(local.read_policy)
}

resource "aws_eks_pod_identity_association" "this" {
  count = var.identity == "pod_identity" ? 1 : 0

  cluster_name    = var.cluster_name
  namespace       = var.namespace
  service_account = var.service_account
  role_arn        = aws_iam_role.this.arn
  tags            = var.tags
}

resource "aws_s3_bucket" "report" {
  count    = var.create_bucket ? 1 : 0
  provider = aws.payer

  bucket = var.bucket
  tags   = var.tags
}

resource "aws_s3_bucket_public_access_block" "report" {
  count    = var.create_bucket ? 1 : 0
  provider = aws.payer

  bucket                  = aws_s3_bucket.report[0].id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_policy" "report" {
  count    = var.create_bucket ? 1 : 0
  provider = aws.payer

  bucket = aws_s3_bucket.report[0].id
  policy = jsonencode(local.bucket_policy)
}
