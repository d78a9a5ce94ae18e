output "role_arn" {
  description = "Role of the pod: aws.roleArn of the Helm chart."
  value       = aws_iam_role.this.arn
}

output "cur_uri" {
  description = "Where the report lies: cur.uri."
  value       = var.create_export ? "s3://${var.bucket}/${var.prefix}/${var.name}" : "s3://${var.bucket}/${var.prefix}"
}

output "bucket_policy" {
  description = "What the policy of a bucket must hold that this module did not make."
  value       = jsonencode(local.bucket_policy)
}
