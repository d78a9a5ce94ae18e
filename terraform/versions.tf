terraform {
  required_version = ">= 1.5"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 5.60, < 7.0"
      # aws: the account of the cluster. aws.payer: the payer (management) account, in us-east-1, where Data Exports
      # lives. Where they are one account, hand in the same credentials twice.
      configuration_aliases = [aws.payer]
    }
  }
}
